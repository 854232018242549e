"""Events and alerts that components report."""
