"""Extract and load HubSpot into `hubspot_raw`; the `hubsync` command line."""
