"""What turns result files into tables, figures and a report."""
