// Alone in its file: the id changes with every source, and only this is compiled again.
#include <miniml_flash.h>

#include "miniml_build_id.h"

extern const char miniml_build_id[] MINIML_FLASH = MINIML_BUILD_ID;
