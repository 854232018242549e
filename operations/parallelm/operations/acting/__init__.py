"""What a command does, by whichever way the settings name: here, or by the API of a server.

A file a resource, each with what can be done (a protocol), the two ways to do it, and a function that gives one of them.
``choosing`` is the only place that knows which. Both ways end in the same operations and raise the same kind of errors.
"""
