"""The upper layer over real sockets, with scripted, foreign and our own peers."""
