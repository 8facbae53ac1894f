"""Views of videos and cameras: in a window and in the terminal."""
