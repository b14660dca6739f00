# nvcc is there: the language, the architectures and the flags of every CUDA file.
set(HYPERARC_CUDA_ARCHITECTURES "default" CACHE STRING
  "Architectures of the CUDA kernels, in the form of CMAKE_CUDA_ARCHITECTURES; default: all that are supported")
set(architectures ${HYPERARC_CUDA_ARCHITECTURES})
if(architectures STREQUAL "default")
  # The last one is PTX, for devices that come later.
  set(architectures 80-real 86-real 89-real 90a-real 100-real 120-real 120-virtual)
endif()
set(CMAKE_CUDA_ARCHITECTURES ${architectures})
# One host compiler for all: nvcc's own default may be another one.
if(NOT CMAKE_CUDA_HOST_COMPILER)
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
# CMake up to 3.25 does not know that nvcc takes C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
endif()
set(HYPERARC_WITH_CUDA 1)
# The Hopper kernels (wgmma, TMA) exist for sm_90a alone.
list(FILTER architectures INCLUDE REGEX "^90a(-|$)")
list(LENGTH architectures HYPERARC_HAS_WGMMA)
if(HYPERARC_HAS_WGMMA)
  set(HYPERARC_HAS_WGMMA 1)
endif()
string(REGEX REPLACE "-real|-virtual" "" HYPERARC_ARCHITECTURE_TEXT "${CMAKE_CUDA_ARCHITECTURES}")
list(REMOVE_DUPLICATES HYPERARC_ARCHITECTURE_TEXT)
list(JOIN HYPERARC_ARCHITECTURE_TEXT " " HYPERARC_ARCHITECTURE_TEXT)
set(HYPERARC_BUILD_TEXT "cuda ${CMAKE_CUDA_COMPILER_VERSION} (${HYPERARC_ARCHITECTURE_TEXT})")
message(STATUS "HyperArc: building with ${HYPERARC_BUILD_TEXT}")
