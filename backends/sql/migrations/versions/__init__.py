"""One file for each version of the tables; what has been released is not changed any more."""
