//! A failing seed as a folder: its story, the configuration in words, and what every life of a daemon was told.
