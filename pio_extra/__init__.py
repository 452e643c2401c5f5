"""What PlatformIO and make load: the build hook, the set-up, the offline kit."""
