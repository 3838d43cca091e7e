"""One file a vendor: what it lists, and how."""
