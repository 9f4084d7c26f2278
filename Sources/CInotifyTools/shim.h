#pragma once
#include <stdint.h>
#include <inotifytools/inotifytools.h>
#include <inotifytools/inotify.h>
