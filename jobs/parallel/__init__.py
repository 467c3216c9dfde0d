"""Several processes that train each cell together (processes = 2): who leads, who follows."""
