"""What is wrong with the Redis that a URL names: facts are asked for first, findings are made of them."""
