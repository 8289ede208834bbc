"""Text whose phrases are tied to boxes: pure Python."""
