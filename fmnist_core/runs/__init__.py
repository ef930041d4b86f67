"""The run store on disk, and the engine that trains in worker processes."""
