"""Markdown to lines of styled text for a width in cells, also while it grows. Knows no terminal and no colour codes."""
