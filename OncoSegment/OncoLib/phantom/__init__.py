"""Digital objects with a truth known by arithmetic."""
