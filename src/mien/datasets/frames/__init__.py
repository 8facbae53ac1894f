"""Labels of video frames, and the layouts of the data sets that have them."""
