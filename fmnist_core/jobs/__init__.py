"""What a worker does: the one floor that ties learning, embedding and the store together."""
