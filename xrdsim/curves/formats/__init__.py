"""Files of diffractometers: one function a format, from the bytes of a file to its scans."""
