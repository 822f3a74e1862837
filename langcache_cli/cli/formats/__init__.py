"""How results are laid out: tables for people, formats for monitoring and CI."""
