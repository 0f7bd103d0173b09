"""Source schemes, one file each: what the URL of a submission may begin with."""
