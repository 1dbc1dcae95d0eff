"""HubSpot as a dlt source: exact, and at near the minimum of API calls."""
