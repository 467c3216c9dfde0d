"""Files become rows, rows become token ids."""
