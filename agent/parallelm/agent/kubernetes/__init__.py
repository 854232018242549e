"""Runs in a Kubernetes cluster: offline ones are Jobs, online ones Deployments of one Pod."""
