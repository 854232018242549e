"""The open library, the ids of this component, and the event time of its reports."""
