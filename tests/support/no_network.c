/* Preloaded into a process and its children: no connection, look-up or datagram leaves, and each try is written down in
   the file that NO_NETWORK_LOG names. Sockets of this machine's own files (AF_UNIX) work. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *call, const char *what) {
    const char *path = getenv("NO_NETWORK_LOG");
    if (path == NULL) return;
    int log = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (log < 0) return;
    dprintf(log, "%d %s %s\n", getpid(), call, what);
    close(log);
}

static int refused(const char *call, const struct sockaddr *address) {
    if (address == NULL || address->sa_family == AF_UNIX || address->sa_family == AF_UNSPEC) return 0;
    note(call, "");
    errno = ENETUNREACH;
    return 1;
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
    if (refused("connect", address)) return -1;
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(fd, address, size);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t length) {
    if (refused("sendto", address)) return -1;
    return ((ssize_t (*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "sendto"))(
        fd, data, size, flags, address, length);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    (void)service, (void)hints, (void)found;
    note("getaddrinfo", node ? node : "");
    return EAI_NONAME;
}
