"""Tables × `Vocabulary` → `MaskStore`."""
