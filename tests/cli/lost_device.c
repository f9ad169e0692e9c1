// A Vulkan layer that loses the device: the fourth wait for the GPU finds it lost, as after a driver reset. lost_device.rs
// compiles it and names it to the Vulkan loader, so that any program can be tested as it is.
//
// There may be no Vulkan headers, so the few types of the layer interface stand here (Vulkan-Loader,
// docs/LoaderLayerInterface.md).

#include <stdint.h>
#include <string.h>

typedef void (*Function)(void);
typedef Function (*GetProc)(void *object, const char *name);
typedef int32_t Result;

enum { ERROR_DEVICE_LOST = -4, ERROR_INITIALIZATION_FAILED = -3, LOADER_INSTANCE = 47, LOADER_DEVICE = 48, LINK_INFO = 0 };

// What comes next in the chain of layers; the driver is at its end.
struct Link {
    struct Link *next;
    GetProc instance_proc;
    GetProc device_proc; // for an instance: of physical devices
};

// VkLayerInstanceCreateInfo and VkLayerDeviceCreateInfo, in so far as they are alike.
struct Info {
    uint32_t type;
    const struct Info *next;
    uint32_t function;
    struct Link *link;
};

struct Negotiate {
    uint32_t type;
    void *next;
    uint32_t version;
    GetProc instance_proc, device_proc, physical_device_proc;
};

static GetProc next_instance_proc, next_device_proc;
static int waits;

// Finds what comes next, and hands the chain on to it.
static struct Link *take_link(const void *create_info, uint32_t type) {
    for (struct Info *info = (struct Info *)((const struct Info *)create_info)->next; info; info = (struct Info *)info->next) {
        if (info->type == type && info->function == LINK_INFO) {
            struct Link *link = info->link;
            info->link = link->next;
            return link;
        }
    }
    return 0;
}

static Result create_instance(const void *create_info, const void *allocator, void **instance) {
    struct Link *link = take_link(create_info, LOADER_INSTANCE);
    if (!link) return ERROR_INITIALIZATION_FAILED;
    next_instance_proc = link->instance_proc;
    return ((Result(*)(const void *, const void *, void **))next_instance_proc(0, "vkCreateInstance"))(create_info, allocator, instance);
}

static Result create_device(void *physical, const void *create_info, const void *allocator, void **device) {
    struct Link *link = take_link(create_info, LOADER_DEVICE);
    if (!link) return ERROR_INITIALIZATION_FAILED;
    next_device_proc = link->device_proc;
    return ((Result(*)(void *, const void *, const void *, void **))link->instance_proc(0, "vkCreateDevice"))(physical, create_info, allocator, device);
}

static int lost(void) { return __atomic_add_fetch(&waits, 1, __ATOMIC_SEQ_CST) >= 4; }

static Result wait_semaphores(void *device, const void *wait, uint64_t timeout) {
    if (lost()) return ERROR_DEVICE_LOST;
    return ((Result(*)(void *, const void *, uint64_t))next_device_proc(device, "vkWaitSemaphores"))(device, wait, timeout);
}

static Result wait_semaphores_khr(void *device, const void *wait, uint64_t timeout) {
    if (lost()) return ERROR_DEVICE_LOST;
    return ((Result(*)(void *, const void *, uint64_t))next_device_proc(device, "vkWaitSemaphoresKHR"))(device, wait, timeout);
}

static Result wait_fences(void *device, uint32_t count, const void *fences, uint32_t all, uint64_t timeout) {
    if (lost()) return ERROR_DEVICE_LOST;
    return ((Result(*)(void *, uint32_t, const void *, uint32_t, uint64_t))next_device_proc(device, "vkWaitForFences"))(device, count, fences, all, timeout);
}

static Function device_proc(void *device, const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)device_proc;
    if (!strcmp(name, "vkWaitSemaphores")) return (Function)wait_semaphores;
    if (!strcmp(name, "vkWaitSemaphoresKHR")) return (Function)wait_semaphores_khr;
    if (!strcmp(name, "vkWaitForFences")) return (Function)wait_fences;
    return next_device_proc(device, name);
}

static Function instance_proc(void *instance, const char *name) {
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (Function)instance_proc;
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)device_proc;
    if (!strcmp(name, "vkCreateInstance")) return (Function)create_instance;
    if (!strcmp(name, "vkCreateDevice")) return (Function)create_device;
    return next_instance_proc ? next_instance_proc(instance, name) : 0;
}

__attribute__((visibility("default"))) Result vkNegotiateLoaderLayerInterfaceVersion(struct Negotiate *negotiate) {
    negotiate->version = 2;
    negotiate->instance_proc = instance_proc;
    negotiate->device_proc = device_proc;
    negotiate->physical_device_proc = 0;
    return 0;
}
