"""Associations that devices made or were refused: the row to which queries, instances and later facts refer."""
