"""Values as JSON bytes and back, equal in value and in type."""
