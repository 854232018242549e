"""What has just happened, pushed to the pages that show it."""
