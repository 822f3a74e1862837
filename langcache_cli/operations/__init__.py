"""What the commands do, without printing: plain arguments in, frozen reports out."""
