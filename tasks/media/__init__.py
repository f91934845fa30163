"""Move files into the store and clips out of it: intake, annotation files, cutting, optical flow and decoded frames."""
