"""Who asks what, when: Prefect flows, vendor sources, artifacts and the command line."""
