"""Where text comes from: files, folders, tables and the corpora that every Python carries."""
