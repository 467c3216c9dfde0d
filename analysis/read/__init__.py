"""Result files become frames."""
