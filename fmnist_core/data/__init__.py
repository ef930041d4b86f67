"""Fashion-MNIST: find it, verify it, load it, download it, split it; and pictures of your own made into its format."""
