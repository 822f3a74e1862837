"""What stands under a key, and the atomic steps that read and change it."""
