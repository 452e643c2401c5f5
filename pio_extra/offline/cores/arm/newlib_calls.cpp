// What newlib asks of a system, where there is none: memory, and nothing else.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

extern "C" {

extern char end; // first byte after .bss, from the linker script

void *_sbrk(ptrdiff_t increment) {
  static char *top = &end;
  char *stack_pointer;
  __asm("mov %0, sp" : "=r"(stack_pointer));
  if (top + increment > stack_pointer) {
    errno = ENOMEM;
    return reinterpret_cast<void *>(-1);
  }
  char *const start = top;
  top += increment;
  return start;
}

void _exit(int) {
  for (;;) {
  }
}
int _kill(int, int) {
  return -1;
}
int _getpid(void) {
  return 1;
}
int _close(int) {
  return -1;
}
int _isatty(int) {
  return 1;
}
int _fstat(int, struct stat *status) {
  status->st_mode = S_IFCHR;
  return 0;
}
int _lseek(int, int, int) {
  return 0;
}
int _read(int, char *, int) {
  return 0;
}
int _write(int, char *, int length) {
  return length;
}

// A pure virtual call can't be reported: stop, as abort() would, without newlib's stdio.
void __cxa_pure_virtual(void) {
  _exit(1);
}
void *__dso_handle;
}
