"""Drawing for the book: the palette, charts, the three panes, and the film."""
