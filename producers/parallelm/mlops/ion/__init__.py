"""The MLApp that a component is part of."""
