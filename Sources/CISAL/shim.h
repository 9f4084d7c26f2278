#pragma once
#include <stdint.h>
#include <isa-l/igzip_lib.h>
