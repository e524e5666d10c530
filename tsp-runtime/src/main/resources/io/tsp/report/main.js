// The page from above down.

drawHeading();
drawComparisons();
drawSequences();
drawPlans();
drawPredictions();
drawTimelines();
drawTrainings();
drawFooter();
redraw();

// Of no height, so that it changes with the page's width alone, which drawing does not change.
const ruler = element("div");
main.append(ruler);
let width = ruler.clientWidth;
new ResizeObserver(() => {
    if (ruler.clientWidth !== width) {
        width = ruler.clientWidth;
        redraw();
    }
}).observe(ruler);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
        document.documentElement.classList.toggle("printing", printing);
        redraw();
    });
}
