"""Alert rules and their lifecycle, and model policy: pure cores with thin Faust agents around them."""
