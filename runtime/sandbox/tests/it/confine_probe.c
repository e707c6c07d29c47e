/* Attempts that a confined program must not succeed with. Exit code: 0 if the attempt went through, else errno. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in here(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return address;
}

static int outcome(long result) { return result < 0 ? errno : 0; }

int main(int count, char **words)
{
    const char *verb = count > 1 ? words[1] : "";
    const char *subject = count > 2 ? words[2] : "";
    if (!strcmp(verb, "socket"))
        return outcome(socket(atoi(subject), SOCK_STREAM, 0)) ;
    if (!strcmp(verb, "raw-socket"))
        return outcome(socket(atoi(subject), SOCK_RAW, 0));
    if (!strcmp(verb, "protocol") && count > 4)
        return outcome(socket(atoi(subject), atoi(words[3]), atoi(words[4])));
    if (!strcmp(verb, "connect") || !strcmp(verb, "bind") || !strcmp(verb, "open-early") || !strcmp(verb, "send-early")) {
        struct sockaddr_in address = here(subject);
        int tcp = socket(AF_INET, SOCK_STREAM, 0);
        if (tcp < 0)
            return outcome(tcp);
        if (!strcmp(verb, "connect"))
            return outcome(connect(tcp, (struct sockaddr *)&address, sizeof address));
        if (!strcmp(verb, "bind")) {
            int again = 1;
            setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
            int bound = bind(tcp, (struct sockaddr *)&address, sizeof address);
            return outcome(bound < 0 ? bound : listen(tcp, 1));
        }
        if (!strcmp(verb, "open-early"))
            return outcome(sendto(tcp, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&address, sizeof address));
        struct iovec byte = {"x", 1};
        struct msghdr message = {&address, sizeof address, &byte, 1, 0, 0, 0};
        return outcome(sendmsg(tcp, &message, MSG_FASTOPEN));
    }
    if (!strcmp(verb, "listen"))
        return outcome(listen(socket(AF_INET, SOCK_STREAM, 0), 1));
    if (!strcmp(verb, "datagram")) {
        struct sockaddr_in address = here(subject);
        int udp = socket(AF_INET, SOCK_DGRAM, 0);
        return outcome(udp < 0 ? udp : sendto(udp, "x", 1, 0, (struct sockaddr *)&address, sizeof address));
    }
    if (!strcmp(verb, "pair")) {
        int pair[2];
        return outcome(socketpair(AF_UNIX, atoi(subject) | SOCK_CLOEXEC, 0, pair));
    }
    if (!strcmp(verb, "io_uring")) {
        char parameters[256] = {0};
        return outcome(syscall(425, 4, parameters));
    }
    if (!strcmp(verb, "openat2")) {
        unsigned long how[3] = {O_PATH, 0, 0};
        return outcome(syscall(SYS_openat2, AT_FDCWD, "/", how, sizeof how));
    }
    if (!strcmp(verb, "clone3")) {
        char arguments[88] = {0};
        return outcome(syscall(435, arguments, sizeof arguments));
    }
    if (!strcmp(verb, "unshare"))
        return outcome(unshare(CLONE_NEWUSER));
    if (!strcmp(verb, "clone"))
        return outcome(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    if (!strcmp(verb, "x32"))
        return outcome(syscall(0x40000000 | 39));
    if (!strcmp(verb, "mount"))
        return outcome(syscall(SYS_mount, "none", subject, "tmpfs", 0, 0));
    if (!strcmp(verb, "device"))
        return outcome(mknod(subject, S_IFCHR | 0666, makedev(1, 1)));
    if (!strcmp(verb, "type")) {
        int master = open("/dev/null", O_RDWR);
        return outcome(ioctl(master, TIOCSTI, "x"));
    }
    if (!strcmp(verb, "clock")) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return outcome(clock_settime(CLOCK_REALTIME, &now));
    }
    if (!strcmp(verb, "limit")) {
        struct rlimit limit = {0, 0};
        return outcome(prlimit(getppid(), RLIMIT_CPU, &limit, 0));
    }
    if (!strcmp(verb, "kill"))
        return outcome(kill(atoi(subject), 0));
    if (!strcmp(verb, "kill-parent"))
        return outcome(kill(getppid(), SIGKILL)) || outcome(kill(getppid(), SIGSTOP));
    if (!strcmp(verb, "chmod"))
        return outcome(chmod(subject, 0777));
    if (!strcmp(verb, "chmod-open")) {
        int file = open(subject, O_RDONLY);
        return file < 0 ? 99 : outcome(fchmod(file, 0777));
    }
    if (!strcmp(verb, "write"))
        return outcome(open(subject, O_WRONLY | O_CREAT, 0600));
    if (!strcmp(verb, "chmod-stdin"))
        return outcome(fchmod(0, 0666));
    if (!strcmp(verb, "chown"))
        return outcome(chown(subject, getuid(), getgid()));
    if (!strcmp(verb, "touch"))
        return outcome(utimensat(AT_FDCWD, subject, 0, 0));
    if (!strcmp(verb, "attribute"))
        return outcome(setxattr(subject, "user.probe", "x", 1, 0));
    if (!strcmp(verb, "descriptors")) {
        DIR *folder = opendir("/proc/self/fd");
        struct dirent *entry;
        while (folder && (entry = readdir(folder)))
            if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
                printf("%s ", entry->d_name);
        return 0;
    }
    if (!strcmp(verb, "status")) {
        char line[256];
        FILE *file = fopen("/proc/self/status", "r");
        while (file && fgets(line, sizeof line, file))
            if (!strncmp(line, subject, strlen(subject)))
                fputs(line, stdout);
        return 0;
    }
    if (!strcmp(verb, "escape")) { /* fork twice, in a session of its own, and stay, whatever happens */
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                signal(SIGTERM, SIG_IGN);
                signal(SIGHUP, SIG_IGN);
                for (;;)
                    pause();
            }
            _exit(0);
        }
        if (count > 3)
            for (;;)
                pause();
        usleep(200000);
        return 0;
    }
    if (!strcmp(verb, "bomb")) {
        signal(SIGTERM, SIG_IGN);
        for (;;)
            if (fork() == 0)
                setsid();
    }
    if (!strcmp(verb, "forge")) { /* say what a supervisor would say, to everything that is open */
        const char *report = "{\"Ended\":{\"how\":{\"Exited\":0},\"reason\":\"Itself\"}}";
        for (int descriptor = 0; descriptor < 256; descriptor++)
            if (write(descriptor, report, strlen(report)) < 0)
                continue;
        return 7;
    }
    return 98;
}
