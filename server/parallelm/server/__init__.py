"""The server: pages where people look, and a REST API; thin over operations and the warehouse."""
