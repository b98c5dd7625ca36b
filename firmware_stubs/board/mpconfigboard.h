#define MICROPY_HW_BOARD_NAME "Fieldgate alarm box"
#define MICROPY_HW_MCU_NAME "ESP32"
