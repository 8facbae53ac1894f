"""Where results go: tables, annotated pictures, lines of JSON."""
