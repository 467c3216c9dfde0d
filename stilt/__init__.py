"""What a STILT study is: tasks, grids, cells, results, data, training.

Imports none of its sibling packages.
"""
