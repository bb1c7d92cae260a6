"""The window's panels: thin glue between what was computed and the widgets that show it."""
